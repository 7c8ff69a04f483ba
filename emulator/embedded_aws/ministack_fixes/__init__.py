"""Where MiniStack differs from AWS: a module for each subject that it corrects."""
