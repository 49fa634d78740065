"""Training through ESPnet: a task, a model and a trainer that add what adapters need."""
