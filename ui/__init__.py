"""The window: everything that a person sees and touches. It knows the engine only by its face."""
