"""Objects found without a first mask: from a trained model and frames to masks."""
