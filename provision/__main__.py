from provision.cli import console

console()
