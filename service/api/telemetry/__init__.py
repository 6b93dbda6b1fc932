"""What a service tells of itself to who watches it: numbers for Prometheus, spans for OpenTelemetry."""
