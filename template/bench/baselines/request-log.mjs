// Logs one line per request to standard output, with the fields of this service's request log.
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { pinoHttp } from 'pino-http';
import { LOG_LEVEL } from './pool.mjs';

const pathOf = ({ originalUrl, url }) => (originalUrl ?? url).split('?', 1)[0];

export const logRequest = pinoHttp({
  logger: pino({ level: LOG_LEVEL, base: {}, messageKey: 'message' }),
  genReqId: (_request, response) => {
    const id = randomUUID();
    response.setHeader('X-Request-Id', id);
    return id;
  },
  customProps: ({ id }) => ({ requestId: id }),
  serializers: { req: () => undefined, res: () => undefined },
  autoLogging: { ignore: ({ url }) => url.startsWith('/health/') },
  customSuccessMessage: (request, response) => `${request.method} ${pathOf(request)} ${response.statusCode}`,
  customSuccessObject: (request, response, { responseTime }) => ({
    method: request.method,
    path: pathOf(request),
    status: response.statusCode,
    durationMs: responseTime,
  }),
});
