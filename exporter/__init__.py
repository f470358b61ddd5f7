"""Host side: subject x operator x runtime -> artifact bundle. Imports torch late; never imports device_runner."""
