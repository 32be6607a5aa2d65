"""The ground of the evaluator: options made from configurations, devices, progress bars."""
