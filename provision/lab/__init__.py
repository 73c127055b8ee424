"""Throwaway Debian hosts with a real systemd, sshd and Docker Engine, on this machine."""
