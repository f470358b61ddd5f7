"""Training on the host: a resumable seeded loop, distillation, evaluation, and the cache of what was trained."""
