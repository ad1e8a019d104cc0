"""Chef servers: their states, records, background work, and the engine that runs them."""
