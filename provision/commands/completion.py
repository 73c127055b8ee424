"""The script with which a shell completes provision's commands and options, made from the parser itself.

``eval "$(provision --completion bash)"`` in ~/.bashrc; the same with ``zsh`` in ~/.zshrc; for fish,
``provision --completion fish >~/.config/fish/completions/provision.fish``.
"""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
_provision() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command= options= one
    for one in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case " {commands} " in *" $one "*) command=$one; break ;; esac
    done
    case $command in
{arms}
        *) options="{commands} --help --version" ;;
    esac
    case $word in
        -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$([ -n "$command" ] || echo "$options")" -f -- "$word")) ;;
    esac
}}
complete -o filenames -F _provision provision
"""


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The completion script for one of :data:`SHELLS`."""
    commands = _commands(parser)
    if shell == "fish":
        return _fish(commands)
    arms = "\n".join(
        f'        {name}) options="{" ".join(_options(command))}" ;;' for name, command in commands.items()
    )
    text = _BASH.format(commands=" ".join(commands), arms=arms)
    return f"autoload -U +X bashcompinit && bashcompinit\n{text}" if shell == "zsh" else text


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _options(command: argparse.ArgumentParser) -> list[str]:
    return [option for action in command._actions for option in action.option_strings if option.startswith("--")]


def _fish(commands: dict[str, argparse.ArgumentParser]) -> str:
    names = " ".join(commands)
    lines = [f"complete -c provision -n 'not __fish_seen_subcommand_from {names}' -f -a '{names}'"]
    for name, command in commands.items():
        for option in _options(command):
            lines.append(f"complete -c provision -n '__fish_seen_subcommand_from {name}' -l {option[2:]}")
    return "\n".join(lines) + "\n"
