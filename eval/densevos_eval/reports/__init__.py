"""Read scores back, compare them, and show them as tables and pages."""
