"""From masks on disk to scores."""
