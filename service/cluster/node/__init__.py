"""A node of the cluster: it holds replicas of shards at their newest versions and follows the store."""
