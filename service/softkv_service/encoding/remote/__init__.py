"""Encoders that a provider computes, behind an OpenAI-compatible URL."""

from __future__ import annotations

from softkv_service.encoding.remote.encoder import RemoteEncoder, load_remote
from softkv_service.encoding.remote.settings import RemoteSettings, provider_key
