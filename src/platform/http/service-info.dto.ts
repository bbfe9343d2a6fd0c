export class ServiceInfoDto {
  name!: string;
  version!: string;
  /** Of this build; null when it is not known */
  commit!: string | null;
  links!: Record<string, string>;
}
