/** Start the service before all tests. Returns a function that stops it. */
export default function setUp(): Promise<() => Promise<void>>;
