/** The version of the package, which `scripts/bundle.mjs` puts in the place of this name. */
declare const ESCHER_VERSION: string | undefined;

/** The packages of the platforms. Each is an addon. */
declare module '@escher/execution-engine-*' {
  const addon: typeof import('../binding.js');
  export = addon;
}
