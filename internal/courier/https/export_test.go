package https

// HeadTimeout is how long a visitor may be silent.
const HeadTimeout = headTimeout
