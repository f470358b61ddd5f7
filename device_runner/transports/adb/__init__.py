"""Phones over ADB: through the adb server of this host, or without one through the adb-shell library."""
