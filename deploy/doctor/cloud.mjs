export async function cloud() {
  return [];
}
