"""Encoders that a provider computes, behind an OpenAI-compatible URL."""

from __future__ import annotations

from service.encoding.remote.encoder import RemoteEncoder, load_remote
from service.encoding.remote.settings import RemoteSettings
