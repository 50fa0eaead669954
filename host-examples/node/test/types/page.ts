// What a page in a browser has, with the settings that `tsc --init --strict` gives, and the types of this package checked too.

import { audited, AuditStore } from 'audit-store/browser';

const store: AuditStore = await AuditStore.open({ memoryLimit: 100 });
const search: (query: string) => Promise<string> = audited(async (query: string) => query, { store, tool: 'search' });
console.log(await search('tea'));
export const { counts } = await store.close();
