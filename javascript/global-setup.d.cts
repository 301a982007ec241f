/** Start the service before all tests. Returns a function that stops it. */
declare function setUp(): Promise<() => Promise<void>>;
export = setUp;
