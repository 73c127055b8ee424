from provision.start import console

console()
