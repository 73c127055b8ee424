"""Docker's objects, one kind a module: networks, volumes, images, containers, compose projects."""

from __future__ import annotations

from provision.resources.docker.compose import NoProject, Project
from provision.resources.docker.container import Container, NoContainer
from provision.resources.docker.image import BuiltImage, LoadedImage, NoImage, PulledImage
from provision.resources.docker.network import Network, NoNetwork
from provision.resources.docker.volume import NoVolume, Volume

#: Resources that end containers and projects, and resources that remove what other objects must stop using first.
OUTGOING, LATEST = (NoContainer, NoProject), (NoNetwork, NoVolume, NoImage)
OBJECTS = (
    *(Network, Volume, PulledImage, LoadedImage, BuiltImage, Container, Project),
    *OUTGOING,
    *LATEST,
)
