modules: dict[str, str]
