"""A shard server: it holds replicas of shards at their newest versions and follows the store."""
