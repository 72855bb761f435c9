// Pictures as people give them: dropped, pasted, chosen; too large ones are made smaller before they are sent.

const LARGE = 2_000_000; // bytes beyond which a picture is scaled down
const SIDE = 1600; // pixels of its longer side then

/** The picture files of a drop or paste. */
export function picturesOf(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));
}

/** One given picture: what is sent, and the address of its preview. */
export async function taken(file) {
  const name = file.name || "pasted picture";
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

/** As base64 with its kind before it. */
export function encoded(data) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(data);
  });
}
