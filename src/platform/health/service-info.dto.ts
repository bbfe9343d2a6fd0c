export class ServiceInfoDto {
  name!: string;
  version!: string;
  /** The commit of the build; null if unknown */
  commit!: string | null;
  links!: Record<string, string>;
}
