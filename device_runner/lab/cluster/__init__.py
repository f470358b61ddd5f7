"""The lab over many hosts, on Ray: docs/lab-cluster.md. Nothing here imports ray before it is used."""
