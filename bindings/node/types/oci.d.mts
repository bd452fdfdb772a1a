export * from './oci.cjs';
