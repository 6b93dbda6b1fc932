// Visit the pages of a service in Firefox, and write as JSON what is seen.
import { launch } from "puppeteer-core";

const { executable, service, framed, refused, rows, told } = JSON.parse(process.argv[2]);
const browser = await launch({ browser: "firefox", executablePath: executable, headless: true });
const seen = { errors: [], chapters: [] };

async function open(address) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 720 });
  page.on("pageerror", (error) => seen.errors.push(error.message));
  await page.goto(address);
  return page;
}

/** Ask a question, drag the knob of the temperature to its end, and wait for what each of them makes the page tell. */
async function ask(page, frame) {
  const until = (text) =>
    frame.waitForFunction((wanted) => document.querySelector("#hard-and-soft p.told").textContent === wanted, {}, text);
  await frame.waitForSelector("#hard-and-soft .key-text");
  const field = await frame.$("#hard-and-soft .asking :is(input, textarea)");
  await field.click({ count: 3 });
  await field.type("a stringed instrument");
  await page.keyboard.press("Enter");
  await until(told.question);
  const [handle, track] = await Promise.all(
    [".handle", ".track"].map(async (part) => (await frame.$(`#hard-and-soft ${part}`)).boundingBox()),
  );
  const x = handle.x + handle.width / 2;
  await page.mouse.move(x, handle.y + handle.height / 2);
  await page.mouse.down();
  await page.mouse.move(x, track.y - 30, { steps: 4 });
  await page.mouse.up();
  await until(told.drag);
}

try {
  const story = await open(`${service}/#hard-and-soft&rows=${rows}`);
  await ask(story, story.mainFrame());
  for (const id of await story.$$eval("#story article", (articles) => articles.map((article) => article.id))) {
    await story.evaluate((chapter) => location.assign(`#${chapter}`), id);
    await story.waitForSelector(`#${id}:not([hidden]) .screen`);
    seen.chapters.push(id);
  }
  const site = await open(framed);
  await ask(site, await (await site.waitForSelector("iframe")).contentFrame());
  const wall = await open(refused);
  const blank = await (await wall.waitForSelector("iframe")).contentFrame();
  seen.refused = await blank.evaluate(() => document.querySelector("#story") === null).catch(() => true);
  const zoom = await open(`${service}/deeper#zoom&q=where do birds fly in winter&rows=[["birds"],["snow"]]`);
  await zoom.waitForSelector("section[aria-labelledby=zoom-answer] tr.chosen");
  seen.heads = await zoom.$$eval(".head-map canvas", (all) => all.filter(({ width }) => width === 8).length);
  seen.sideways = await zoom.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  const explorer = await open(`${service}/explore`);
  await explorer.waitForSelector("#stage :is(.tab, .empty)");
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
