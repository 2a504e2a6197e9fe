"""The generated pages: settings from the models, commands from the command lines, pictures."""
