"""What several test files share: real servers to test against, and in-memory stand-ins behind our ports."""
