// Images that people drop, paste or choose; large ones are scaled down before they are sent.

const LARGE = 2_000_000; // bytes above which an image is scaled down
const SIDE = 1600; // pixels of its longer side then

/** The image files of a drop or paste. */
export function imagesOf(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** One image: what is sent, and the URL of its preview. */
export async function taken(file) {
  const name = file.name || "pasted image";
  const data = file.size > LARGE ? await smaller(file) : file;
  return { name, data, url: URL.createObjectURL(data) };
}

async function smaller(file) {
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(whole.width * scale);
    canvas.height = Math.round(whole.height * scale);
    canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
    const data = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
    return data && data.size < file.size ? data : file;
  } catch {
    return file; // the server says what is wrong with it
  }
}

/** As a data URL. */
export function encoded(data) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(data);
  });
}
