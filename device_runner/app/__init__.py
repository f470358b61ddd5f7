"""The benchmark inside an Android app: building the app without Android's SDK, and running it on a phone."""
