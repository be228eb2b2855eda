/** The files of what was dropped, folders included, as deep as they go. */
export async function filesOf(items: DataTransferItemList): Promise<File[]> {
  // Entries must be taken before the first await: the list is empty afterwards.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const files: File[] = [];
  for (let next = entries.pop(); next; next = entries.pop()) {
    if (next.isFile) files.push(await fileOf(next as FileSystemFileEntry));
    else entries.push(...(await childrenOf(next as FileSystemDirectoryEntry)));
  }
  return files;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

async function childrenOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (!some.length) return all;
    all.push(...some);
  }
}
