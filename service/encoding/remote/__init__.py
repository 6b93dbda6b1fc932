"""Encoders that a provider computes, behind an OpenAI-compatible URL.

Importing the settings costs no HTTP client: `RemoteEncoder` is imported from its module when an encoder is loaded.
"""

from __future__ import annotations

from service.encoding.remote.counts import FAILURES, ProviderCounts
from service.encoding.remote.settings import InvalidRemoteSettings, RemoteSettings
