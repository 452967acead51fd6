"""First steps with `mpctl`, as every help and greeting shows them."""

FIRST_STEPS = (
    "workspace init ./my-workspace",
    "events watch --workspace ./my-workspace --json",
    "project create --workspace ./my-workspace --name core",
    "session spawn --project core --blueprint ./agents/blueprints/reviewer.yaml",
)
