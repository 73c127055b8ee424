"""Docker's objects, one kind a module: networks, volumes, images, containers, compose projects."""
