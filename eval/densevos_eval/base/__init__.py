"""What the whole evaluator uses: options made from configurations, devices, progress bars."""
