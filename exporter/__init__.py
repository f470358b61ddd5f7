"""Host side: subject x operator x runtime -> artifact bundle. Imports torch late; never imports device_runner."""

import os

# ONNX Runtime's wheel reports its use by default, from a thread of its own, and keeps a database in the user's cache. Both
# have no place beside a measurement; it reads this once, when it is imported, which happens below this package only.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
