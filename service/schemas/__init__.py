"""The wire contract: what JSON comes in and goes out. Imported by the API only."""
