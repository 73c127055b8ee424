# Completion of provision for fish, made by `provision --completion fish`. It asks provision itself at each Tab.

function __provision_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (string replace -r '^[\'"]' '' -- (commandline -ct))
    set -l lines (command provision --complete fish $words "$current" 2>/dev/null </dev/null)
    set -l head (string split \t -- $lines[1])
    set -e lines[1]
    switch "$head[1]"
        case files folders
            set -l path (string sub -s (math 1 + (string length -- "$head[2]")) -- "$current")
            set -l found
            if test $head[1] = files
                set found (__fish_complete_path "$path")
            else
                set found (__fish_complete_directories "$path")
            end
            for one in $found
                echo -- $head[2]$one
            end
        case '*'
            string join \n -- $lines
    end
end

complete -c provision -f -k -a '(__provision_complete)'
