import type { Application } from 'express';

/** The routes that Cloud Run's probes and deploy/pipeline request. */
const REQUIRED_ROUTES = ['/', '/health/live', '/health/ready', '/health/startup', '/v1/me'];

/** @throws {Error} if a global prefix or another version has moved a required route */
export function checkRequiredRoutes({ router }: Application): void {
  const paths = new Set(router.stack.map(({ route }) => route?.path));
  const missing = REQUIRED_ROUTES.filter((path) => !paths.has(path));
  if (missing.length === 0) return;
  throw new Error(
    `No route is registered at ${missing.join(', ')}. Cloud Run's probes and the deployment request these paths. ` +
      `Exclude them from the global prefix: app.setGlobalPrefix('api', { exclude: ['/', 'me', 'health/{*path}'] }).`,
  );
}
