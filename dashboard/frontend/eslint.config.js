import prettier from "eslint-config-prettier";
import vue from "eslint-plugin-vue";
import typescript from "typescript-eslint";

export default typescript.config(
  { ignores: ["node_modules/", "src/api/schema.ts"] },
  typescript.configs.strict,
  vue.configs["flat/recommended"],
  { files: ["**/*.vue"], languageOptions: { parserOptions: { parser: typescript.parser } } },
  { rules: { "no-undef": "off", "vue/multi-word-component-names": "off", "vue/no-v-html": "error" } },
  prettier,
);
