"""The whole of ModuPrompt on one machine: real servers from wheels, every service, one supervisor."""
