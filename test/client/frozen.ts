/** A page that the test can freeze: a process with one subscription, which prints the amount of each event. */
import { collect, openBank, transactions } from './bank.ts';

const [url = '', user = ''] = process.argv.slice(2);
const client = await openBank(url, user);
const seen = collect(client.subscribe({ query: transactions }));
client.onState(({ status }) => console.log(status));
let told = 0;
setInterval(() => {
  for (; told < seen.all.length; told++) console.log(`amount ${seen.amounts()[told]}`);
}, 20);
