"""Collections of other databases, read where these keep them, as documents for ours."""
