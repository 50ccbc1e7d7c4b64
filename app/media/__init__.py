"""The media layer: SDP, relayed audio, its figures and its worker processes. `app.media.control` is its face."""
