import { SetMetadata } from '@nestjs/common';

export const MAX_BYTES = 'max-body-bytes';

/** Sets the maximum size of a body; the default is 100 kB. Together, bodies in memory may have 50 MB. Streams are not counted. */
export const MaxBodySize = (bytes: number) => SetMetadata(MAX_BYTES, bytes);
